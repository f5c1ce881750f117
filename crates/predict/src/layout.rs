//! The columns of the result: those of the input, then ours.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{
    ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, ListBuilder, RecordBatch, StringBuilder, StructBuilder,
};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};

use crate::input::Source;
use crate::pipeline::Answered;

/// `acceptable` or `unacceptable`; null if the row could not be predicted, as are the others of ours but [`ERROR`].
pub const LABEL: &str = "label";
/// The calibrated probability of *unacceptable*.
pub const P_UNACCEPTABLE: &str = "p_unacceptable";
/// The calibrated probability of *acceptable*.
pub const P_ACCEPTABLE: &str = "p_acceptable";
/// Tokens that the model saw, `[CLS]` and `[SEP]` included.
pub const TOKENS: &str = "tokens";
/// Whether the sentence was cut because it has more tokens than the model takes.
pub const TRUNCATED: &str = "truncated";
/// Tokens that the vocabulary does not have.
pub const UNKNOWN_TOKENS: &str = "unknown_tokens";
/// Why the row could not be predicted; null if it could.
pub const ERROR: &str = "error";
/// The words that weigh: a list of `text`, `start` and `end` (bytes of the sentence) and `weight`.
pub const WORDS: &str = "words";

/// What stands before a name of ours that the input has already.
const PREFIX: &str = "predicted_";

/// Which columns a result has.
#[derive(Debug)]
pub struct Layout {
    schema: SchemaRef,
    /// The columns of the input that are kept.
    kept: Vec<usize>,
    renamed: Vec<(&'static str, String)>,
    words: bool,
}

impl Layout {
    /// The columns that follow from an input; with its sentences or without, with the words that weigh or without.
    pub fn new(source: &dyn Source, sentence: bool, words: bool) -> Self {
        let input = source.schema();
        let kept: Vec<usize> =
            (0..input.fields().len()).filter(|column| sentence || *column != source.sentence()).collect();
        let mut fields: Vec<Arc<Field>> = kept.iter().map(|column| Arc::clone(&input.fields()[*column])).collect();
        let mut renamed = Vec::new();
        for (name, kind) in ours(words) {
            let mut unique = name.to_owned();
            while input.fields().iter().any(|field| *field.name() == unique) {
                unique.insert_str(0, PREFIX);
            }
            if unique != name {
                renamed.push((name, unique.clone()));
            }
            fields.push(Arc::new(Field::new(unique, kind, true)));
        }
        let schema = Arc::new(Schema::new_with_metadata(fields, input.metadata().clone()));
        Self { schema, kept, renamed, words }
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Names of ours that the input has already, and what ours are called instead.
    pub fn renamed(&self) -> &[(&'static str, String)] {
        &self.renamed
    }

    /// The rows of an answered chunk in these columns.
    ///
    /// # Errors
    ///
    /// When the chunk does not have the columns of the input.
    pub fn table(&self, answered: &Answered) -> Result<RecordBatch> {
        let mut label = StringBuilder::new();
        let mut probabilities = [Float64Builder::new(), Float64Builder::new()];
        let (mut tokens, mut unknown) = (Int32Builder::new(), Int32Builder::new());
        let mut truncated = BooleanBuilder::new();
        let mut error = StringBuilder::new();
        for verdict in &answered.verdicts {
            let prediction = verdict.as_ref().ok().map(|verdict| &verdict.prediction);
            label.append_option(prediction.map(|prediction| prediction.label.name()));
            for (class, builder) in probabilities.iter_mut().enumerate() {
                builder.append_option(prediction.map(|prediction| prediction.probabilities[class]));
            }
            tokens.append_option(prediction.map(|prediction| prediction.tokens as i32));
            truncated.append_option(prediction.map(|prediction| prediction.truncated));
            unknown.append_option(prediction.map(|prediction| prediction.unknown_tokens as i32));
            error.append_option(verdict.as_ref().err());
        }
        let mut columns: Vec<ArrayRef> =
            self.kept.iter().map(|column| Arc::clone(answered.chunk.columns.column(*column))).collect();
        columns.push(Arc::new(label.finish()));
        columns.extend(probabilities.iter_mut().map(|builder| Arc::new(builder.finish()) as ArrayRef));
        columns.push(Arc::new(tokens.finish()));
        columns.push(Arc::new(truncated.finish()));
        columns.push(Arc::new(unknown.finish()));
        columns.push(Arc::new(error.finish()));
        if self.words {
            columns.push(words(answered)?);
        }
        Ok(RecordBatch::try_new(self.schema(), columns)?)
    }
}

fn ours(words: bool) -> Vec<(&'static str, DataType)> {
    let mut ours = vec![
        (LABEL, DataType::Utf8),
        (P_UNACCEPTABLE, DataType::Float64),
        (P_ACCEPTABLE, DataType::Float64),
        (TOKENS, DataType::Int32),
        (TRUNCATED, DataType::Boolean),
        (UNKNOWN_TOKENS, DataType::Int32),
        (ERROR, DataType::Utf8),
    ];
    if words {
        ours.push((WORDS, DataType::List(word())));
    }
    ours
}

fn word() -> Arc<Field> {
    Arc::new(Field::new("item", DataType::Struct(word_fields()), false))
}

fn word_fields() -> Fields {
    Fields::from(vec![
        Field::new("text", DataType::Utf8, false),
        Field::new("start", DataType::Int32, false),
        Field::new("end", DataType::Int32, false),
        Field::new("weight", DataType::Float64, false),
    ])
}

fn words(answered: &Answered) -> Result<ArrayRef> {
    use anyhow::Context;

    let mut list = ListBuilder::new(StructBuilder::from_fields(word_fields(), 0)).with_field(word());
    for verdict in &answered.verdicts {
        if let Ok(verdict) = verdict {
            let item = list.values();
            for word in &verdict.words {
                let wrong = "the builder of words has other columns";
                item.field_builder::<StringBuilder>(0).context(wrong)?.append_value(&word.text);
                item.field_builder::<Int32Builder>(1).context(wrong)?.append_value(word.start as i32);
                item.field_builder::<Int32Builder>(2).context(wrong)?.append_value(word.end as i32);
                item.field_builder::<Float64Builder>(3).context(wrong)?.append_value(word.weight);
                item.append(true);
            }
        }
        list.append(verdict.is_ok());
    }
    Ok(Arc::new(list.finish()))
}

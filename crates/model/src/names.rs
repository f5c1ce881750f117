//! The name of every parameter of [`crate::classifier::Weights`]: in this project, and in a file.
//!
//! Within the project a parameter has one name whatever the [`Family`], that of Hugging Face transformers' `BertModel`,
//! with `embeddings.projection` for the projection of narrower embeddings. [`FileNames`] knows what the family's own
//! class in transformers calls it.

use wellformed_core::family::Family;
use wellformed_core::params::Pooling;

/// Where a mapper stands in the module tree.
#[derive(Debug, Default, Clone)]
pub struct ParameterPath(Vec<String>);

impl ParameterPath {
    /// Goes down into a field.
    pub fn enter(&mut self, name: &str) {
        self.0.push(name.to_owned());
    }

    /// Comes back up.
    pub fn exit(&mut self) {
        self.0.pop();
    }

    /// The name of the parameter here, and whether PyTorch stores it transposed.
    pub fn name(&self, pooling: Pooling) -> (String, bool) {
        let parts: Vec<&str> = self.0.iter().map(String::as_str).collect();
        let (place, rest): (String, &[&str]) = match parts[..] {
            ["embeddings", table, ref rest @ ..] => {
                let table = match table {
                    "word" => "word_embeddings",
                    "position" => "position_embeddings",
                    "token_type" => "token_type_embeddings",
                    "projection" => "projection",
                    _ => "LayerNorm",
                };
                (format!("embeddings.{table}"), rest)
            }
            ["layers", index, part, ref rest @ ..] => {
                let part = match part {
                    "query" => "attention.self.query",
                    "key" => "attention.self.key",
                    "value" => "attention.self.value",
                    "attention_output" => "attention.output.dense",
                    "attention_norm" => "attention.output.LayerNorm",
                    "intermediate" => "intermediate.dense",
                    "output" => "output.dense",
                    _ => "output.LayerNorm",
                };
                (format!("encoder.layer.{index}.{part}"), rest)
            }
            ["dense", ref rest @ ..] => {
                let place = if pooling == Pooling::Cls { "pooler.dense" } else { "head.dense" };
                (place.to_owned(), rest)
            }
            [other, ref rest @ ..] => (other.to_owned(), rest),
            [] => (String::new(), &[]),
        };
        let leaf = match rest {
            ["gamma"] => "weight",
            ["beta"] => "bias",
            [leaf] => leaf,
            _ => "",
        };
        let is_table = place.starts_with("embeddings.") && place.ends_with("_embeddings");
        let transposed = leaf == "weight" && !is_table && !place.ends_with("LayerNorm");
        (format!("{place}.{leaf}"), transposed)
    }
}

/// Names in the files of a family's `…ForSequenceClassification`, without the family's prefix.
#[derive(Debug, Clone, Copy)]
pub struct FileNames {
    /// Whose files.
    pub family: Family,
    /// Which head the classifier has: mean pooling's is this project's own, in every family.
    pub pooling: Pooling,
}

impl FileNames {
    /// What this project calls differently than a file does, as beginnings of names: here, there.
    fn differences(self) -> &'static [(&'static str, &'static str)] {
        // A head that comes with the base is under BERT's names already.
        match (self.pooling, self.family.first_token_head().is_pretrained) {
            (Pooling::Cls, false) => &[
                ("embeddings.projection.", "embeddings_project."),
                ("pooler.dense.", "classifier.dense."),
                ("classifier.", "classifier.out_proj."),
            ],
            _ => &[("embeddings.projection.", "embeddings_project.")],
        }
    }

    /// This project's name of a file's tensor; `None` for a pooler that the family's classifier does not have.
    pub fn ours(self, name: &str) -> Option<String> {
        if name.starts_with("pooler.") && !self.family.first_token_head().is_pretrained {
            return None;
        }
        let renamed = |(ours, theirs): &(&str, &str)| Some(format!("{ours}{}", name.strip_prefix(theirs)?));
        Some(self.differences().iter().find_map(renamed).unwrap_or_else(|| name.to_owned()))
    }

    /// The name in a file, with the family's prefix where the tensor is the encoder's.
    pub fn theirs(self, name: &str) -> String {
        let renamed = |(ours, theirs): &(&str, &str)| Some(format!("{theirs}{}", name.strip_prefix(ours)?));
        let renamed = self.differences().iter().find_map(renamed).unwrap_or_else(|| name.to_owned());
        let is_head = renamed.starts_with("classifier.") || renamed.starts_with("head.");
        if is_head { renamed } else { format!("{}.{renamed}", self.family.name()) }
    }
}

/// The name of a file's tensor without the prefix of whichever family it is of.
pub fn without_prefix(name: &str) -> &str {
    let rest = |family: Family| name.strip_prefix(family.name())?.strip_prefix('.');
    Family::ALL.into_iter().find_map(rest).unwrap_or(name)
}

/// Whether a tensor is of a head for another task, which a base model may bring and nobody misses: those of
/// transformers' `…ForPreTraining`, `…ForMaskedLM` and `…ForSequenceClassification`.
pub fn is_of_another_task(name: &str) -> bool {
    ["cls.", "classifier.", "lm_head.", "discriminator_predictions.", "generator_predictions.", "generator_lm_head."]
        .iter()
        .any(|head| name.starts_with(head))
}

/// The two methods by which a visitor or mapper of modules keeps its field `path: ParameterPath` where it stands.
#[macro_export]
macro_rules! follow_path {
    () => {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.enter(name);
        }

        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.exit();
        }
    };
}

/// FNV-1a: a hash that is the same on every machine and in every version of Rust.
pub fn stable_hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_roberta_loses_its_pooler_and_a_bert_keeps_it() {
        let names = |family| FileNames { family, pooling: Pooling::Cls };
        let pooler = "pooler.dense.weight";
        assert_eq!(names(Family::Roberta).ours(pooler), None);
        assert_eq!(names(Family::Bert).ours(pooler), Some(pooler.to_owned()));
        assert_eq!(names(Family::Roberta).ours("classifier.dense.weight"), Some(pooler.to_owned()));
        assert_eq!(names(Family::Bert).ours("classifier.weight"), Some("classifier.weight".to_owned()));
    }

    #[test]
    fn a_name_comes_back_from_a_file_as_it_went_into_it() {
        let ours = [
            "embeddings.word_embeddings.weight",
            "embeddings.projection.weight",
            "encoder.layer.3.attention.self.key.bias",
            "classifier.weight",
        ];
        for family in Family::ALL {
            for (pooling, dense) in [(Pooling::Cls, "pooler.dense.bias"), (Pooling::Mean, "head.dense.bias")] {
                let names = FileNames { family, pooling };
                for name in ours.into_iter().chain([dense]) {
                    let theirs = names.theirs(name);
                    assert_eq!(names.ours(without_prefix(&theirs)).as_deref(), Some(name), "{family}: {theirs}");
                }
            }
        }
    }

    #[test]
    fn heads_of_pre_training_are_nobodys_loss() {
        for name in ["lm_head.dense.weight", "discriminator_predictions.dense.bias", "cls.predictions.bias"] {
            assert!(is_of_another_task(name), "{name}");
        }
        assert!(!is_of_another_task("encoder.layer.0.output.dense.bias"));
    }
}

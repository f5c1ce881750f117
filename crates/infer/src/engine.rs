//! From token ids to logits: the graph of [`wellformed_onnx::bert`], run by the project's own kernels.
//!
//! Opening a model file proves that its nodes are that graph and no other, so the weights can be run without looking
//! at the nodes. Against an interpreter of the graph this saves what costs time in a small model: padding (the tokens
//! of all sentences are packed into one matrix), temporaries, and a walk over several hundred nodes.

use bytes::Bytes;
use wellformed_core::bundle::Precision;
use wellformed_kernels::{Isa, f32 as float, i8 as byte, vector};
use wellformed_onnx::{Activation, Architecture, Opened, Pooling, Weights};

/// A classifier ready to run.
#[derive(Debug)]
pub(crate) struct Engine {
    architecture: Architecture,
    isa: Isa,
    words: Words,
    /// `[positions, embedding]`
    positions: Vec<f32>,
    embeddings_norm: Norm,
    /// From the embeddings' width to that of the hidden states, where they differ.
    projection: Option<Product>,
    layers: Vec<Layer>,
    head: Product,
    classifier: Product,
}

#[derive(Debug)]
struct Layer {
    qkv: Product,
    attention: Product,
    attention_norm: Norm,
    inner: Product,
    outer: Product,
    outer_norm: Norm,
}

/// The word embeddings, `[vocabulary, embedding]`, where they lie in the file: a sentence needs a few rows of many.
#[derive(Debug)]
enum Words {
    Float(Bytes),
    Byte { values: Bytes, scale: Vec<f32> },
}

#[derive(Debug)]
enum Product {
    Float(float::Matrix),
    Byte(byte::Matrix),
}

#[derive(Debug)]
struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// Memory to work in; it grows to the largest batch and is used again.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    hidden: Vec<f32>,
    other: Vec<f32>,
    context: Vec<f32>,
    wide: Vec<f32>,
    rows: byte::Rows,
    scratch: Vec<f32>,
}

impl Engine {
    /// Packs the weights of an opened file.
    pub(crate) fn new(opened: Opened) -> Self {
        let Opened { architecture, mut weights } = opened;
        let isa = Isa::detect();
        let (hidden, inner) = (architecture.hidden, architecture.inner);
        let words = match architecture.precision {
            Precision::Fp32 => Words::Float(take(&mut weights, "embeddings.word").data),
            Precision::Int8 => Words::Byte {
                values: take(&mut weights, "embeddings.word.int8").data,
                scale: floats(&mut weights, "embeddings.word.scale"),
            },
        };
        let packer = Packer { isa, precision: architecture.precision };
        let weights = &mut weights;
        let layers = (0..architecture.layers).map(|index| {
            let name = |part: &str| format!("layers.{index}.{part}");
            Layer {
                qkv: packer.product(weights, &name("qkv"), hidden, 3 * hidden),
                attention: packer.product(weights, &name("attention"), hidden, hidden),
                attention_norm: Norm::new(weights, &name("attention_norm")),
                inner: packer.product(weights, &name("inner"), hidden, inner),
                outer: packer.product(weights, &name("outer"), inner, hidden),
                outer_norm: Norm::new(weights, &name("outer_norm")),
            }
        });
        let layers = layers.collect();
        let projection =
            architecture.embedding.map(|width| packer.product(weights, "embeddings.projection", width, hidden));
        // Two columns are not worth quantising: the file has them in 32 bits either way.
        let wide = Packer { precision: Precision::Fp32, ..packer };
        Self {
            words,
            positions: floats(weights, "embeddings.position"),
            embeddings_norm: Norm::new(weights, "embeddings.norm"),
            projection,
            layers,
            head: packer.product(weights, "head", hidden, hidden),
            classifier: wide.product(weights, "classifier", hidden, 2),
            architecture,
            isa,
        }
    }

    /// What the file says of itself.
    pub(crate) fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The instructions that it runs on.
    pub(crate) fn isa(&self) -> Isa {
        self.isa
    }

    /// Logits of sentences, each of at least one token and at most `positions`, all of them of the vocabulary.
    pub(crate) fn logits(&self, sentences: &[&[u32]], workspace: &mut Workspace) -> Vec<[f32; 2]> {
        let Workspace { hidden, other, context, wide, rows, scratch } = workspace;
        let Architecture { hidden: width, heads, inner, epsilon, .. } = self.architecture;
        let tokens: usize = sentences.iter().map(|sentence| sentence.len()).sum();
        match &self.projection {
            None => self.embed(sentences, width, hidden, other),
            Some(projection) => {
                self.embed(sentences, self.architecture.embedding_width(), wide, other);
                hidden.resize(tokens * width, 0.0);
                projection.run(self.isa, tokens, wide, hidden, rows);
            }
        }
        other.resize(tokens * width, 0.0);
        context.resize(tokens * width, 0.0);

        for layer in &self.layers {
            wide.resize(tokens * 3 * width, 0.0);
            layer.qkv.run(self.isa, tokens, hidden, wide, rows);
            let mut from = 0;
            for sentence in sentences {
                let length = sentence.len();
                let qkv = &wide[from * 3 * width..][..length * 3 * width];
                let out = &mut context[from * width..][..length * width];
                vector::attention(self.isa, qkv, length, heads, width / heads, out, scratch);
                from += length;
            }
            layer.attention.run(self.isa, tokens, context, other, rows);
            layer.attention_norm.add(self.isa, other, hidden, epsilon);

            wide.resize(tokens * inner, 0.0);
            layer.inner.run(self.isa, tokens, other, wide, rows);
            match self.architecture.activation {
                Activation::Gelu => vector::gelu(self.isa, wide),
                Activation::GeluNew => vector::gelu_tanh(self.isa, wide),
                Activation::Relu => vector::relu(self.isa, wide),
            }
            layer.outer.run(self.isa, tokens, wide, hidden, rows);
            layer.outer_norm.add(self.isa, hidden, other, epsilon);
        }

        let count = sentences.len();
        let pooled = &mut context[..count * width];
        let mut from = 0;
        for (sentence, pooled) in sentences.iter().zip(pooled.chunks_exact_mut(width)) {
            let rows = &hidden[from * width..][..sentence.len() * width];
            self.pool(rows, pooled);
            from += sentence.len();
        }
        let dense = &mut other[..count * width];
        self.head.run(self.isa, count, pooled, dense, rows);
        match self.architecture.pooling {
            Pooling::Mean | Pooling::ClsGelu => vector::gelu(self.isa, dense),
            Pooling::Cls => dense.iter_mut().for_each(|x| *x = x.tanh()),
        }
        let mut logits = vec![[0.0; 2]; count];
        self.classifier.run(self.isa, count, dense, logits.as_flattened_mut(), rows);
        logits
    }

    /// The normed embeddings of all tokens, `[tokens, width]`, into `embedded`; `added` is to work in.
    fn embed(&self, sentences: &[&[u32]], width: usize, embedded: &mut Vec<f32>, added: &mut Vec<f32>) {
        let tokens: usize = sentences.iter().map(|sentence| sentence.len()).sum();
        embedded.resize(tokens * width, 0.0);
        added.resize(tokens * width, 0.0);
        let ids = sentences.iter().flat_map(|sentence| sentence.iter());
        for (&id, row) in ids.zip(embedded.chunks_exact_mut(width)) {
            self.words.copy(id as usize, row);
        }
        let positions = sentences.iter().flat_map(|sentence| 0..sentence.len());
        for (position, row) in positions.zip(added.chunks_exact_mut(width)) {
            row.copy_from_slice(&self.positions[position * width..][..width]);
        }
        self.embeddings_norm.add(self.isa, embedded, added, self.architecture.epsilon);
    }

    fn pool(&self, rows: &[f32], pooled: &mut [f32]) {
        let width = pooled.len();
        match self.architecture.pooling {
            Pooling::Cls | Pooling::ClsGelu => pooled.copy_from_slice(&rows[..width]),
            Pooling::Mean => {
                pooled.fill(0.0);
                for row in rows.chunks_exact(width) {
                    for (sum, x) in pooled.iter_mut().zip(row) {
                        *sum += x;
                    }
                }
                let length = (rows.len() / width) as f32;
                for sum in pooled {
                    *sum /= length;
                }
            }
        }
    }
}

impl Words {
    fn copy(&self, id: usize, row: &mut [f32]) {
        let width = row.len();
        match self {
            Self::Float(values) => {
                let (values, _) = values[id * width * 4..][..width * 4].as_chunks::<4>();
                for (x, bytes) in row.iter_mut().zip(values) {
                    *x = f32::from_le_bytes(*bytes);
                }
            }
            Self::Byte { values, scale } => {
                for (x, &byte) in row.iter_mut().zip(&values[id * width..][..width]) {
                    *x = f32::from(byte.cast_signed()) * scale[id];
                }
            }
        }
    }
}

impl Product {
    fn run(&self, isa: Isa, count: usize, input: &[f32], output: &mut [f32], rows: &mut byte::Rows) {
        match self {
            Self::Float(matrix) => matrix.multiply(count, input, output),
            Self::Byte(matrix) => {
                rows.quantize(isa, input, count, matrix.inputs());
                matrix.multiply(rows, output);
            }
        }
    }
}

impl Norm {
    fn new(weights: &mut Weights, name: &str) -> Self {
        Self { weight: floats(weights, &format!("{name}.weight")), bias: floats(weights, &format!("{name}.bias")) }
    }

    /// `values = norm(values + added)`
    fn add(&self, isa: Isa, values: &mut [f32], added: &[f32], epsilon: f32) {
        vector::add_layer_norm(isa, values, added, &self.weight, &self.bias, epsilon);
    }
}

#[derive(Clone, Copy)]
struct Packer {
    isa: Isa,
    precision: Precision,
}

impl Packer {
    fn product(self, weights: &mut Weights, name: &str, inputs: usize, outputs: usize) -> Product {
        let bias = floats(weights, &format!("{name}.bias"));
        match self.precision {
            Precision::Fp32 => {
                let values = floats(weights, &format!("{name}.weight"));
                Product::Float(float::Matrix::new(self.isa, &values, inputs, outputs, &bias))
            }
            Precision::Int8 => {
                let values = take(weights, &format!("{name}.weight.int8")).i8_values();
                let scale = floats(weights, &format!("{name}.weight.scale"));
                Product::Byte(byte::Matrix::new(self.isa, &values, inputs, outputs, &scale, &bias))
            }
        }
    }
}

/// A weight that opening the file has proved to be there.
#[expect(clippy::expect_used, reason = "wellformed_onnx::open accepts no file that lacks a weight")]
fn take(weights: &mut Weights, name: &str) -> wellformed_onnx::Weight {
    weights.remove(name).expect("every weight of an opened file is there")
}

fn floats(weights: &mut Weights, name: &str) -> Vec<f32> {
    take(weights, name).f32_values()
}

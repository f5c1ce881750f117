//! A base model's `config.json`, as Hugging Face transformers writes it for `BertModel`.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

/// The activation between the two feed-forward matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// x·Φ(x), with the error function.
    #[serde(rename = "gelu")]
    Gelu,
    /// The tanh approximation of GELU that the original BERT code used.
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh")]
    GeluNew,
    /// max(0, x).
    #[serde(rename = "relu")]
    Relu,
}

/// The architecture of a BERT encoder. Keys keep the names of `config.json`; keys that do not change the forward
/// pass are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BertConfig {
    /// Rows of the word embedding table.
    pub vocab_size: usize,
    /// Width of the hidden states.
    pub hidden_size: usize,
    /// Encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Width of the feed-forward layer.
    pub intermediate_size: usize,
    /// Activation of the feed-forward layer.
    pub hidden_act: Activation,
    /// Longest sequence the position table knows.
    pub max_position_embeddings: usize,
    /// Rows of the token type table.
    #[serde(default = "two")]
    pub type_vocab_size: usize,
    /// Added to the variance in layer norms.
    #[serde(default = "default_epsilon")]
    pub layer_norm_eps: f64,
    /// Standard deviation of fresh weights.
    #[serde(default = "default_range")]
    pub initializer_range: f64,
    /// Id of the padding token.
    #[serde(default)]
    pub pad_token_id: usize,
    /// `bert`; other families have other tensors.
    #[serde(default = "bert")]
    pub model_type: String,
    /// Only `absolute` positions are supported.
    #[serde(default = "absolute")]
    pub position_embedding_type: String,
}

fn two() -> usize {
    2
}

fn default_epsilon() -> f64 {
    1e-12
}

fn default_range() -> f64 {
    0.02
}

fn bert() -> String {
    "bert".to_owned()
}

fn absolute() -> String {
    "absolute".to_owned()
}

impl BertConfig {
    /// Reads and checks `config.json`.
    ///
    /// # Errors
    ///
    /// When the file is missing, a key is missing or of the wrong type, or the architecture is not a BERT's.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let config: Self =
            serde_json::from_str(&text).with_context(|| format!("{} is not a BERT configuration", path.display()))?;
        config.validate().with_context(|| format!("{} describes a model that cannot be built", path.display()))?;
        Ok(config)
    }

    /// Width of one attention head.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// Whether this encoder can take a sequence: neither too long for its positions nor with a token that it lacks.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for a message that names the sentence.
    pub fn check_sequence(&self, ids: &[i32]) -> Result<()> {
        let (length, positions) = (ids.len(), self.max_position_embeddings);
        ensure!(length <= positions, "it has {length} tokens, the model at most {positions}");
        let known = |id: &i32| usize::try_from(*id).is_ok_and(|id| id < self.vocab_size);
        if let Some(id) = ids.iter().find(|id| !known(id)) {
            bail!("it has the token {id}, the model's vocabulary {} entries", self.vocab_size);
        }
        Ok(())
    }

    fn validate(&self) -> Result<()> {
        if self.model_type != "bert" {
            bail!("model_type is {:?}, but only \"bert\" is supported", self.model_type);
        }
        if self.position_embedding_type != "absolute" {
            let found = &self.position_embedding_type;
            bail!("position_embedding_type is {found:?}, but only \"absolute\" is supported");
        }
        for (key, value) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ] {
            ensure!(value > 0, "{key} is 0, but must be at least 1");
        }
        ensure!(
            self.hidden_size.is_multiple_of(self.num_attention_heads),
            "hidden_size is {}, but must be a multiple of num_attention_heads ({})",
            self.hidden_size,
            self.num_attention_heads
        );
        Ok(())
    }
}

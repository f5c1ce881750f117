//! A base model's `config.json`, as Hugging Face transformers writes it for the [families](Family) of encoders.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use wellformed_core::family::Family;

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

/// The architecture of an encoder of BERT's kind. Keys keep the names of `config.json`; keys that do not change the forward
/// pass are ignored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BertConfig {
    /// Rows of the word embedding table.
    pub vocab_size: usize,
    /// Width of the embeddings, where the family lets them have one of their own; `None` has them as wide as the hidden
    /// states. See [`BertConfig::embedding_width`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding_size: Option<usize>,
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
    /// Rows of the position table; see [`BertConfig::positions`] for the longest sequence.
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
    /// Id of the padding token, where `config.json` names it; see [`BertConfig::padding`].
    #[serde(default)]
    pub pad_token_id: Option<usize>,
    /// The family, which other tensors and another head go with.
    #[serde(default)]
    pub model_type: Family,
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

fn absolute() -> String {
    "absolute".to_owned()
}

impl BertConfig {
    /// Reads and checks `config.json`.
    ///
    /// # Errors
    ///
    /// When the file is missing, a key is missing or of the wrong type, or such an encoder cannot be built.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut config: Self = serde_json::from_str(&text)
            .with_context(|| format!("{} is not the configuration of an encoder", path.display()))?;
        config.pad_token_id = Some(config.padding());
        config.validate().with_context(|| format!("{} describes a model that cannot be built", path.display()))?;
        Ok(config)
    }

    /// Width of the embeddings.
    pub fn embedding_width(&self) -> usize {
        let own = self.embedding_size.filter(|_| self.model_type.projects_embeddings());
        own.unwrap_or(self.hidden_size)
    }

    /// Whether the embeddings have a width of their own, and a projection to that of the hidden states.
    pub fn has_projection(&self) -> bool {
        self.embedding_width() != self.hidden_size
    }

    /// Id of the padding token.
    pub fn padding(&self) -> usize {
        self.pad_token_id.unwrap_or_else(|| self.model_type.default_pad_token_id())
    }

    /// The row of the position table that a sentence's first token gets.
    pub fn first_position(&self) -> usize {
        self.model_type.first_position(self.padding())
    }

    /// Longest sequence in tokens.
    pub fn positions(&self) -> usize {
        self.max_position_embeddings.saturating_sub(self.first_position())
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
        let (length, positions) = (ids.len(), self.positions());
        ensure!(length <= positions, "it has {length} tokens, the model at most {positions}");
        let known = |id: &i32| usize::try_from(*id).is_ok_and(|id| id < self.vocab_size);
        if let Some(id) = ids.iter().find(|id| !known(id)) {
            bail!("it has the token {id}, the model's vocabulary {} entries", self.vocab_size);
        }
        Ok(())
    }

    fn validate(&self) -> Result<()> {
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
            ("embedding_size", self.embedding_width()),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ] {
            ensure!(value > 0, "{key} is 0, but must be at least 1");
        }
        ensure!(
            self.positions() > 0,
            "max_position_embeddings is {}, but positions of a {} start at {} (pad_token_id is {})",
            self.max_position_embeddings,
            self.model_type,
            self.first_position(),
            self.padding()
        );
        ensure!(
            self.hidden_size.is_multiple_of(self.num_attention_heads),
            "hidden_size is {}, but must be a multiple of num_attention_heads ({})",
            self.hidden_size,
            self.num_attention_heads
        );
        Ok(())
    }
}

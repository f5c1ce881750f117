//! The Hugging Face name of every parameter of [`crate::classifier::Weights`].

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

    /// The Hugging Face name of the parameter here, and whether PyTorch stores it transposed.
    pub fn name(&self, pooling: Pooling) -> (String, bool) {
        let parts: Vec<&str> = self.0.iter().map(String::as_str).collect();
        let (place, rest): (String, &[&str]) = match parts[..] {
            ["embeddings", table, ref rest @ ..] => {
                let table = match table {
                    "word" => "word_embeddings",
                    "position" => "position_embeddings",
                    "token_type" => "token_type_embeddings",
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
        let transposed = leaf == "weight" && !place.starts_with("embeddings.") && !place.ends_with("LayerNorm");
        (format!("{place}.{leaf}"), transposed)
    }
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

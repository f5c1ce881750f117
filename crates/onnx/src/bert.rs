//! The graph of a BERT classifier, and the weights that it needs. ELECTRA and `RoBERTa` have the same graph, but for what
//! [`Architecture`] says.
//!
//! `V` vocabulary, `E` embedding (`H` if the architecture has no other), `H` hidden, `I` inner, `P` positions, `B` batch, `S` sequence. All floating point is 32-bit.
//!
//! | input, output | type | |
//! |---|---|---|
//! | `input_ids` | int64 `[B, S]` | token ids; what is masked is not looked at, but must be ids of the vocabulary |
//! | `attention_mask` | int64 `[B, S]` | 1 for a token, 0 for padding, which comes last |
//! | `logits` | float `[B, 2]` | unacceptable, acceptable |
//! | `probabilities` | float `[B, 2]` | softmax(logits / temperature) |
//!
//! # Weights
//!
//! Matrices are `[in, out]`: the product is x·W.
//!
//! | name | shape | |
//! |---|---|---|
//! | `embeddings.word` | `[V, E]` | |
//! | `embeddings.position` | `[P, E]` | the embedding of token type 0 is added in |
//! | `embeddings.norm.weight`, `.bias` | `[E]` | |
//! | `embeddings.projection.weight`, `.bias` | `[E, H]`, `[H]` | only where the architecture has an `embedding` |
//! | `layers.{i}.qkv.weight`, `.bias` | `[H, 3H]`, `[3H]` | columns of query, key, value; the query's are divided by √(head size) |
//! | `layers.{i}.attention.weight`, `.bias` | `[H, H]`, `[H]` | |
//! | `layers.{i}.attention_norm.weight`, `.bias` | `[H]` | |
//! | `layers.{i}.inner.weight`, `.bias` | `[H, I]`, `[I]` | |
//! | `layers.{i}.outer.weight`, `.bias` | `[I, H]`, `[H]` | |
//! | `layers.{i}.outer_norm.weight`, `.bias` | `[H]` | |
//! | `head.weight`, `.bias` | `[H, H]`, `[H]` | |
//! | `classifier.weight`, `.bias` | `[H, 2]`, `[2]` | |
//!
//! With [`Precision::Int8`], `W.int8` (int8, W's shape, from −127 to 127) and `W.scale` (float) stand for W:
//!
//! * for every matrix of a product but `classifier.weight`: `W.scale` has the shape `[out]`, a scale for each column;
//! * for `embeddings.word`: `W.scale` has the shape `[V, 1]`, a scale for each row.
//!
//! # Operations, in their order
//!
//! Bias of the mask: `(1 − float(mask)) · −1e9`, added to the attention scores of every query.
//!
//! Embeddings: `norm(word[id] + position[0..S])`; with int8, `word[id]` is `float(word.int8[id]) · word.scale[id]`.
//! Where they have a width of their own, the projection follows, a product like the others.
//!
//! Layer: `x → norm(x + attention(x))`, then `x → norm(x + feed_forward(x))` (the sum is computed as
//! `product + bias`, then `+ x`). Scores are q·kᵀ + bias of the mask; softmax; times v. `norm` is the operator
//! `LayerNormalization` over the last axis.
//!
//! A product `y = x·W + b` with int8, for each row x of the last axis by itself, so that a sentence's result never
//! depends on what else is in its batch:
//!
//! ```text
//! a      = max(max(|x|), 1e-10)           Abs, ReduceMax, Max
//! factor = 127 / a                        Div
//! step   = a / 127                        Div
//! q      = uint8(round(x · factor) + 128) Mul, Round (half to even), Add, Cast: from 1 to 255
//! n      = Σ (q − 128) · W.int8           MatMulInteger with the zero point 128: int32, exact
//! y      = (float(n) · step) · W.scale + b    Cast, Mul, Mul, Add
//! ```
//!
//! Query, key and value are one product, so x is quantised once for all three. Attention scores and context stay in
//! floating point.
//!
//! Head: the pooled vector (mean: `Σ x·mask / Σ mask`; cls and `cls_gelu`: the first token), dense (with int8 as above,
//! the pooled vector being the row), activation, classifier (always floating point).

use wellformed_core::bundle::Precision;

use crate::architecture::{Activation, Architecture, Pooling};
use crate::builder::{Builder, Dim, float, int, ints, value};
use crate::proto::{GraphProto, TensorProto};
use crate::weight::{DataType, Spec};

/// The version of the standard operators.
pub const OPSET: i64 = 17;

/// The version of ONNX's schema.
pub const IR_VERSION: i64 = 8;

/// Added to the score of a masked token; its weight becomes exactly 0.
pub const MASKED: f32 = -1e9;

/// The least that a row's largest magnitude counts as when it is quantised, so that a row of zeros has a scale.
pub const LEAST_MAGNITUDE: f32 = 1e-10;

/// What stands for 0 in quantised activations.
pub const ZERO_POINT: u8 = 128;

/// Every weight that a file must hold, in its order.
pub fn initializers(architecture: &Architecture) -> Vec<Spec> {
    let &Architecture { vocabulary, hidden, layers, inner, positions, .. } = architecture;
    let width = architecture.embedding_width();
    let is_int8 = architecture.precision == Precision::Int8;
    let mut list = List::default();
    if is_int8 {
        list.add("embeddings.word.int8", DataType::I8, &[vocabulary, width]);
        list.add("embeddings.word.scale", DataType::F32, &[vocabulary, 1]);
    } else {
        list.add("embeddings.word", DataType::F32, &[vocabulary, width]);
    }
    list.add("embeddings.position", DataType::F32, &[positions, width]);
    list.add_norm("embeddings.norm", width);
    if architecture.embedding.is_some() {
        list.add_product("embeddings.projection", width, hidden, is_int8);
    }
    for layer in 0..layers {
        let within = |part: &str| format!("layers.{layer}.{part}");
        list.add_product(&within("qkv"), hidden, 3 * hidden, is_int8);
        list.add_product(&within("attention"), hidden, hidden, is_int8);
        list.add_norm(&within("attention_norm"), hidden);
        list.add_product(&within("inner"), hidden, inner, is_int8);
        list.add_product(&within("outer"), inner, hidden, is_int8);
        list.add_norm(&within("outer_norm"), hidden);
    }
    list.add_product("head", hidden, hidden, is_int8);
    list.add_product("classifier", hidden, 2, false);
    list.0
}

#[derive(Default)]
struct List(Vec<Spec>);

impl List {
    fn add(&mut self, name: impl Into<String>, dtype: DataType, dims: &[usize]) {
        self.0.push(Spec { name: name.into(), dtype, dims: dims.to_vec() });
    }

    fn add_norm(&mut self, name: &str, size: usize) {
        self.add(format!("{name}.weight"), DataType::F32, &[size]);
        self.add(format!("{name}.bias"), DataType::F32, &[size]);
    }

    fn add_product(&mut self, name: &str, from: usize, to: usize, is_int8: bool) {
        if is_int8 {
            self.add(format!("{name}.weight.int8"), DataType::I8, &[from, to]);
            self.add(format!("{name}.weight.scale"), DataType::F32, &[to]);
        } else {
            self.add(format!("{name}.weight"), DataType::F32, &[from, to]);
        }
        self.add(format!("{name}.bias"), DataType::F32, &[to]);
    }
}

/// Nodes, inputs, outputs and constants; the weights are left out.
pub fn graph(architecture: &Architecture) -> GraphProto {
    let mut bert = Bert { architecture, builder: Builder::default() };
    let mask = bert.builder.node("mask.float", "Cast", &["attention_mask"], vec![int("to", TensorProto::FLOAT.into())]);
    let mut hidden = bert.embeddings();
    let mask_bias = bert.mask_bias(&mask);
    for layer in 0..architecture.layers {
        let within = |part: &str| format!("layers.{layer}.{part}");
        let attended = bert.attention(&within, &hidden, &mask_bias);
        let middle = bert.residual_norm(&within("attention"), &within("attention_norm"), &attended, &hidden);
        let inner = bert.product(&within("inner"), &middle, true);
        let active = bert.activation(&within("activation"), &inner, architecture.activation);
        let outer = bert.product(&within("outer"), &active, true);
        hidden = bert.residual_norm(&within("outer"), &within("outer_norm"), &outer, &middle);
    }
    let pooled = bert.pool(&hidden, &mask);
    let dense = bert.product("head", &pooled, true);
    let active = match architecture.pooling {
        Pooling::Mean | Pooling::ClsGelu => bert.activation("head.activation", &dense, Activation::Gelu),
        Pooling::Cls => bert.builder.node("head.activation", "Tanh", &[&dense], vec![]),
    };
    let product = bert.builder.node("classifier.product", "MatMul", &[&active, "classifier.weight"], vec![]);
    let logits = bert.builder.node("logits", "Add", &[&product, "classifier.bias"], vec![]);
    let temperature = bert.builder.float("temperature", architecture.temperature as f32);
    let calibrated = bert.builder.node("calibration", "Div", &[&logits, &temperature], vec![]);
    bert.builder.node("probabilities", "Softmax", &[&calibrated], vec![int("axis", -1)]);

    let tokens = || [Dim::Free("batch"), Dim::Free("sequence")];
    let classes = || [Dim::Free("batch"), Dim::Fixed(2)];
    bert.builder.finish(
        "bert_classifier",
        vec![value("input_ids", TensorProto::INT64, &tokens()), value("attention_mask", TensorProto::INT64, &tokens())],
        vec![value("logits", TensorProto::FLOAT, &classes()), value("probabilities", TensorProto::FLOAT, &classes())],
    )
}

struct Bert<'a> {
    architecture: &'a Architecture,
    builder: Builder,
}

impl Bert<'_> {
    fn is_int8(&self) -> bool {
        self.architecture.precision == Precision::Int8
    }

    /// `[B, S, H]`
    fn embeddings(&mut self) -> String {
        let word = if self.is_int8() {
            let ids = self.gather("embeddings.word.integers", "embeddings.word.int8");
            let integers = self.float("embeddings.word.numbers", &ids);
            let scales = self.gather("embeddings.word.scales", "embeddings.word.scale");
            self.builder.node("embeddings.word.rows", "Mul", &[&integers, &scales], vec![])
        } else {
            self.gather("embeddings.word.rows", "embeddings.word")
        };
        let length = vec![int("start", 1), int("end", 2)];
        let length = self.builder.node("embeddings.length", "Shape", &["input_ids"], length);
        let zero = self.builder.integers("zero", &[0]);
        let rows = ["embeddings.position", &zero, &length, &zero];
        let position = self.builder.node("embeddings.position.rows", "Slice", &rows, vec![]);
        let sum = self.builder.node("embeddings.sum", "Add", &[&word, &position], vec![]);
        let normed = self.norm("embeddings.norm", &sum);
        if self.architecture.embedding.is_some() {
            self.product("embeddings.projection", &normed, true)
        } else {
            normed
        }
    }

    fn gather(&mut self, name: &str, table: &str) -> String {
        self.builder.node(name, "Gather", &[table, "input_ids"], vec![int("axis", 0)])
    }

    fn float(&mut self, name: &str, from: &str) -> String {
        self.builder.node(name, "Cast", &[from], vec![int("to", TensorProto::FLOAT.into())])
    }

    /// `[B, 1, 1, S]`: 0 for tokens, [`MASKED`] for padding.
    fn mask_bias(&mut self, mask: &str) -> String {
        let one = self.builder.float("one", 1.0);
        let inverse = self.builder.node("mask.inverse", "Sub", &[&one, mask], vec![]);
        let masked = self.builder.float("masked", MASKED);
        let bias = self.builder.node("mask.scores", "Mul", &[&inverse, &masked], vec![]);
        let axes = self.builder.integers("one_two", &[1, 2]);
        self.builder.node("mask.bias", "Unsqueeze", &[&bias, &axes], vec![])
    }

    /// The context of all heads, through the attention's own product: `[B, S, H]`.
    fn attention(&mut self, within: &dyn Fn(&str) -> String, hidden: &str, mask_bias: &str) -> String {
        let qkv = self.product(&within("qkv"), hidden, true);
        let (heads, size) = (self.architecture.heads as i64, self.architecture.head_size() as i64);
        let builder = &mut self.builder;
        let parts = ["query", "key", "value"];
        let parts = builder.node_of_many(&within("split"), "Split", &[&qkv], parts, vec![int("axis", -1)]);
        let by_head = builder.integers("by_head", &[0, 0, heads, size]);
        let mut split = |name: &str, part: &str, order: &[i64]| {
            let parted = builder.node(within(&format!("{name}.heads")), "Reshape", &[part, &by_head], vec![]);
            builder.node(within(name), "Transpose", &[&parted], vec![ints("perm", order)])
        };
        let query = split("query", &parts[0], &[0, 2, 1, 3]);
        let key = split("key", &parts[1], &[0, 2, 3, 1]);
        let value = split("value", &parts[2], &[0, 2, 1, 3]);
        let scores = builder.node(within("scores"), "MatMul", &[&query, &key], vec![]);
        let masked = builder.node(within("scores.masked"), "Add", &[&scores, mask_bias], vec![]);
        let weights = builder.node(within("attention.weights"), "Softmax", &[&masked], vec![int("axis", -1)]);
        let context = builder.node(within("context"), "MatMul", &[&weights, &value], vec![]);
        let turned =
            builder.node(within("context.tokens"), "Transpose", &[&context], vec![ints("perm", &[0, 2, 1, 3])]);
        let joined = builder.integers("joined", &[0, 0, heads * size]);
        let joined = builder.node(within("context.joined"), "Reshape", &[&turned, &joined], vec![]);
        self.product(&within("attention"), &joined, true)
    }

    /// `x·W + b` with the weights `{name}.weight` and `{name}.bias`, through int8 if the file has them so.
    fn product(&mut self, name: &str, input: &str, quantized: bool) -> String {
        let weight = format!("{name}.weight");
        let product = if quantized && self.is_int8() {
            self.int8_product(name, input)
        } else {
            self.builder.node(format!("{name}.product"), "MatMul", &[input, &weight], vec![])
        };
        self.builder.node(format!("{name}.sum"), "Add", &[&product, &format!("{name}.bias")], vec![])
    }

    fn int8_product(&mut self, name: &str, input: &str) -> String {
        let within = |part: &str| format!("{name}.{part}");
        let builder = &mut self.builder;
        let magnitude = builder.node(within("input.magnitude"), "Abs", &[input], vec![]);
        let last = vec![ints("axes", &[-1]), int("keepdims", 1)];
        let largest = builder.node(within("input.largest"), "ReduceMax", &[&magnitude], last);
        let least = builder.float("least_magnitude", LEAST_MAGNITUDE);
        let largest = builder.node(within("input.bounded"), "Max", &[&largest, &least], vec![]);
        let levels = builder.float("levels", 127.0);
        let factor = builder.node(within("input.factor"), "Div", &[&levels, &largest], vec![]);
        let step = builder.node(within("input.step"), "Div", &[&largest, &levels], vec![]);
        let scaled = builder.node(within("input.scaled"), "Mul", &[input, &factor], vec![]);
        let rounded = builder.node(within("input.rounded"), "Round", &[&scaled], vec![]);
        let middle = builder.float("middle", ZERO_POINT.into());
        let shifted = builder.node(within("input.shifted"), "Add", &[&rounded, &middle], vec![]);
        let to_byte = vec![int("to", TensorProto::UINT8.into())];
        let quantized = builder.node(within("input.int8"), "Cast", &[&shifted], to_byte);
        let zero_point = builder.byte("zero_point", ZERO_POINT);
        let weight = within("weight.int8");
        let inputs = [quantized.as_str(), &weight, &zero_point];
        let product = builder.node(within("product.int32"), "MatMulInteger", &inputs, vec![]);
        let to_float = vec![int("to", TensorProto::FLOAT.into())];
        let product = builder.node(within("product.float"), "Cast", &[&product], to_float);
        let product = builder.node(within("product.stepped"), "Mul", &[&product, &step], vec![]);
        builder.node(within("product"), "Mul", &[&product, &within("weight.scale")], vec![])
    }

    /// `norm(added + onto)`
    fn residual_norm(&mut self, name: &str, norm: &str, added: &str, onto: &str) -> String {
        let sum = self.builder.node(format!("{name}.residual"), "Add", &[added, onto], vec![]);
        self.norm(norm, &sum)
    }

    fn norm(&mut self, name: &str, input: &str) -> String {
        let attributes = vec![int("axis", -1), float("epsilon", self.architecture.epsilon)];
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        self.builder.node(name, "LayerNormalization", &[input, &weight, &bias], attributes)
    }

    fn activation(&mut self, name: &str, input: &str, activation: Activation) -> String {
        let within = |part: &str| format!("{name}.{part}");
        let builder = &mut self.builder;
        match activation {
            Activation::Gelu => {
                let root = builder.float("root_two", std::f32::consts::SQRT_2);
                let scaled = builder.node(within("scaled"), "Div", &[input, &root], vec![]);
                let error = builder.node(within("erf"), "Erf", &[&scaled], vec![]);
                let one = builder.float("one", 1.0);
                let shifted = builder.node(within("shifted"), "Add", &[&error, &one], vec![]);
                let product = builder.node(within("product"), "Mul", &[input, &shifted], vec![]);
                let half = builder.float("half", 0.5);
                builder.node(name, "Mul", &[&product, &half], vec![])
            }
            Activation::GeluNew => {
                let square = builder.node(within("square"), "Mul", &[input, input], vec![]);
                let cube = builder.node(within("cube"), "Mul", &[&square, input], vec![]);
                let share = builder.float("cube_share", 0.044_715);
                let part = builder.node(within("part"), "Mul", &[&cube, &share], vec![]);
                let sum = builder.node(within("sum"), "Add", &[input, &part], vec![]);
                let scale = builder.float("root_two_over_pi", (2.0 / std::f64::consts::PI).sqrt() as f32);
                let scaled = builder.node(within("scaled"), "Mul", &[&sum, &scale], vec![]);
                let tanh = builder.node(within("tanh"), "Tanh", &[&scaled], vec![]);
                let one = builder.float("one", 1.0);
                let shifted = builder.node(within("shifted"), "Add", &[&tanh, &one], vec![]);
                let product = builder.node(within("product"), "Mul", &[input, &shifted], vec![]);
                let half = builder.float("half", 0.5);
                builder.node(name, "Mul", &[&product, &half], vec![])
            }
            Activation::Relu => builder.node(name, "Relu", &[input], vec![]),
        }
    }

    /// `[B, H]`
    fn pool(&mut self, hidden: &str, mask: &str) -> String {
        let builder = &mut self.builder;
        match self.architecture.pooling {
            Pooling::Mean => {
                let last = builder.integers("last", &[-1]);
                let column = builder.node("pooling.mask", "Unsqueeze", &[mask, &last], vec![]);
                let masked = builder.node("pooling.masked", "Mul", &[hidden, &column], vec![]);
                let tokens = builder.integers("tokens", &[1]);
                let sum = builder.node("pooling.sum", "ReduceSum", &[&masked, &tokens], vec![int("keepdims", 0)]);
                let count = builder.node("pooling.count", "ReduceSum", &[mask, &tokens], vec![int("keepdims", 1)]);
                builder.node("pooling", "Div", &[&sum, &count], vec![])
            }
            Pooling::Cls | Pooling::ClsGelu => {
                let first = builder.index("first", 0);
                builder.node("pooling", "Gather", &[hidden, &first], vec![int("axis", 1)])
            }
        }
    }
}

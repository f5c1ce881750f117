//! Pages for people, made of the files that a run leaves behind. No model runs here.
//!
//! | module | what comes of it |
//! |---|---|
//! | [`tree`] | the project's files as they lie, or as a commit has them |
//! | [`run`] | everything that a run says about itself, typed; what is missing stays empty |
//! | [`parameters`] | the parameters of a run in the order of params.yaml, with what each is |
//! | [`predictions`] | `reports/eval/predictions.parquet` |
//! | [`significance`] | whether two sets of predictions differ by more than chance |
//! | [`compare`] | two runs beside one another |
//! | [`sweep`] | what `dvc exp show` knows, as rows |
//! | [`chart`], [`figures`] | plots as SVG, and the plots of a run |
//! | [`run_page`], [`diff_page`], [`sweep_page`] | HTML, each page whole in one file |
//! | [`card`], [`diff_markdown`] | Markdown: `MODEL_CARD.md`, the comment on a pull request |
//!
//! Sentences of the corpus stand in the HTML pages only, which git ignores; what is committed or posted never quotes one.

pub mod card;
pub mod chart;
pub mod compare;
pub mod diff_markdown;
pub mod diff_page;
pub mod figures;
pub mod number;
pub mod parameters;
pub mod predictions;
pub mod run;
pub mod run_page;
pub mod shell;
pub mod significance;
pub mod sweep;
pub mod sweep_page;
pub mod task;
pub mod tree;

//! The formulas: MCC, ROC, calibration, bootstrap.

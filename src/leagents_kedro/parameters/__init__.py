"""One model for each `conf/base/parameters_*.yml`, under the same name."""

"""What tests of several wings build: parameters, projects, datasets, and damage to them. Each stands here once."""

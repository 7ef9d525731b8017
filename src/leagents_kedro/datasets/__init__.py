"""All reading and writing of the project: the dataset types that ``conf/*/catalog*.yml`` names."""

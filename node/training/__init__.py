"""From labelled data to a bundle: datasets, splits, augmentation, fitting, packaging."""

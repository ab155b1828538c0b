"""What an opened data set is made of: images, reviews, question windows, translations."""

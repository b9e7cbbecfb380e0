"""What the recipes that make pictures from pictures share: networks of any picture size, options, large pictures."""

"""Running: conditions, the judge, shards of images in workers, and what a command asks for."""

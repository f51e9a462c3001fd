"""What the pages show, made of what the core knows: values without HTML."""

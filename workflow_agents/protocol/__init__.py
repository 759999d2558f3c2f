"""Words both sides speak: values in, values out."""

"""The way out of a sandbox to the network: the rules, and the proxy that obeys them."""

"""Who may do what, how they prove who they are, and what is kept from everybody."""

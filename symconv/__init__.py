"""symconv: is this layer the same as that one?"""

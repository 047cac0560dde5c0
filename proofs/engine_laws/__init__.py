"""The laws that the engine rests on."""

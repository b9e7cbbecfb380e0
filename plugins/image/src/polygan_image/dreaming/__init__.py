"""Dreamed pictures: gradient ascent on the layers of a network (Mordvintsev et al. 2015, "Inceptionism")."""

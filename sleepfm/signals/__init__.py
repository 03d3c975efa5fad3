"""Model-ready signals: recipes that resample and standardise, and the HDF5 store."""

"""Volume in, Segmentation out: preprocessing, the U-Net, prediction and lesions.

TensorFlow is imported only when a network is built or loaded.
"""

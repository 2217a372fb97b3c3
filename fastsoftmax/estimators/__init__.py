"""What users fit: SoftmaxClassifier and SoftmaxRegression, on one base that does what both do once fitted.

May import: `training` and what lies below.
"""

-- The labels of one run, for lists that show them.
CREATE INDEX labels_run ON labels (run);

-- For lists of runs by state or workflow, and their counts, where there are a million of them.
-- Their part of a run of ten steps is about a hundredth of what the run costs; see decision 22.
CREATE INDEX runs_phase ON runs (phase);
CREATE INDEX runs_workflow ON runs (workflow);

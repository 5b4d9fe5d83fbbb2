-- Who ends a step-up: the process director alone, where it stepped up because the coordinator was overdue.
ALTER TABLE cases ADD COLUMN stepped_up_by_director BIGINT NOT NULL DEFAULT 0;

-- Who ends a step-up: the process director alone, where the coordinator had let the gateway's proposal wait too long.
ALTER TABLE cases ADD COLUMN stepped_up_by_director BIGINT NOT NULL DEFAULT 0;

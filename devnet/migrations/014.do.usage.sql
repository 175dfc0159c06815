-- What an attempt used: the most memory that its VM held, as far as it was seen, and what its result holds.
alter table task_attempt add column peak_mem_bytes bigint, add column output_bytes bigint;

-- How the attempt's VM could reach the node; null until it was started.
alter table task_attempt add column vsock text;

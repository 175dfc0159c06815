-- Protocol section 11: what dashboards read. Names and kinds of columns are the contract's; where the wire
-- allows more than its lengths, the column is wider here.

create type transaction_kind as enum (
  'empty', 'transfer', 'stake', 'unstake', 'deploy', 'run', 'proof', 'proofkey', 'verification', 'cancel'
);

create table program (
  hash varchar(64) primary key,
  name varchar not null,
  image_file_name varchar not null,
  image_file_url varchar not null,
  image_file_checksum varchar(128) not null
);

create table program_resource_requirements (
  program_hash varchar(64) primary key references program (hash) on delete cascade,
  memory bigint not null,
  cpus bigint not null,
  gpus bigint not null
);

create table transaction (
  author varchar(130) not null,
  hash varchar(64) primary key,
  kind transaction_kind not null,
  nonce numeric not null,
  signature varchar(128) not null,
  propagated boolean not null default false,
  executed boolean not null default false,
  created_at timestamptz not null default now()
);

create table deploy (
  tx varchar(64) primary key references transaction (hash) on delete cascade,
  name varchar not null,
  prover varchar(64) not null references program (hash),
  verifier varchar(64) not null references program (hash)
);

create table workflow_step (
  id bigserial unique,
  tx varchar(64) not null references transaction (hash) on delete cascade,
  sequence integer not null,
  program varchar(64) not null references program (hash),
  args varchar[] not null,
  primary key (tx, sequence)
);

create table program_input_data (
  workflow_step_id bigint not null references workflow_step (id) on delete cascade,
  file_name varchar not null,
  file_url varchar not null,
  checksum varchar(512) not null,
  primary key (workflow_step_id, file_name)
);

create table program_output_data (
  workflow_step_id bigint not null references workflow_step (id) on delete cascade,
  file_name varchar not null,
  source_program varchar(64) not null references program (hash),
  primary key (workflow_step_id, file_name)
);

create table proof (
  tx varchar(64) primary key references transaction (hash) on delete cascade,
  parent varchar(64) not null references transaction (hash) on delete cascade,
  prover varchar(64) not null references program (hash),
  proof bytea not null
);
create index proof_parent on proof (parent);

create table verification (
  tx varchar(64) primary key references transaction (hash) on delete cascade,
  parent varchar(64) not null references transaction (hash) on delete cascade,
  verifier varchar(64) not null references program (hash),
  verification bytea not null
);
create index verification_parent on verification (parent);

create table proof_key (
  tx varchar(64) primary key references transaction (hash) on delete cascade,
  parent varchar(64) not null references transaction (hash) on delete cascade,
  key bytea not null
);

create table txfile (
  tx_id varchar(64) not null references transaction (hash) on delete cascade,
  name varchar not null,
  url varchar not null,
  checksum varchar(64) not null
);
create index txfile_tx on txfile (tx_id);

create table acl_whitelist (key varchar(130) primary key);

-- The channel that dashboards listen on. Deferred, so that it sees the rows that the same commit adds.
create function notify_dashboard() returns trigger language plpgsql as $$
declare
  run_hash varchar(64);
  proofs bigint;
  verifications bigint;
  first_program record;
  state text;
begin
  if new.kind = 'run' then
    run_hash := new.hash;
  elsif new.kind = 'proof' then
    select parent into run_hash from proof where tx = new.hash;
  else
    select p.parent into run_hash from verification v join proof p on p.tx = v.parent where v.tx = new.hash;
  end if;
  if run_hash is null then
    return null;
  end if;
  select count(*) into proofs from proof where parent = run_hash;
  select count(*) into verifications
    from verification v join proof p on p.tx = v.parent where p.parent = run_hash;
  state := case
    when verifications >= 3 then 'complete'
    when verifications >= 1 or proofs >= 2 then 'verifying'
    when proofs = 1 then 'proving'
    else 'submitted'
  end;
  select pr.hash, pr.name into first_program
    from workflow_step s join program pr on pr.hash = s.program where s.tx = run_hash order by s.sequence limit 1;
  perform pg_notify('dashboard_data_stream', json_build_object(
    'state', state,
    'tx_id', run_hash,
    'tag', first_program.name,
    'prover_id', first_program.hash,
    'timestamp', to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
  )::text);
  return null;
end
$$;

create constraint trigger dashboard_data_stream
  after insert on transaction
  deferrable initially deferred
  for each row
  when (new.kind in ('run', 'proof', 'verification'))
  execute function notify_dashboard();

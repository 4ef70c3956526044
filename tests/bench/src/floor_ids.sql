-- The ids of `deals.rs`, so that the floor names the same rows. The planner puts the expression in place of the call.
CREATE FUNCTION public.bench_id(kind bigint, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT ('0197a000-0000-7' || lpad(to_hex(kind), 3, '0') || '-8000-' || lpad(to_hex(n), 12, '0'))::uuid $$;

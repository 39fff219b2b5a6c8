-- One line per built-in function that an expression can call: name, least-most arguments ('*' repeats), the most and the least volatility.
select distinct proname,
       (pronargs - pronargdefaults - (provariadic <> 0)::int)::text || '-' || case when provariadic <> 0 then '*' else pronargs::text end,
       max(case provolatile when 'i' then 1 when 's' then 2 else 3 end) over alike,
       min(case provolatile when 'i' then 1 when 's' then 2 else 3 end) over alike
from pg_proc
where pronamespace = 'pg_catalog'::regnamespace and prokind in ('f', 'a', 'w')
  and not string_to_array(proargtypes::text, ' ')::oid[] && array['internal', 'cstring']::regtype[]::oid[]
  and prorettype not in ('internal'::regtype, 'cstring'::regtype, 'trigger'::regtype, 'event_trigger'::regtype)
window alike as (partition by proname, pronargs - pronargdefaults - (provariadic <> 0)::int,
                              case when provariadic <> 0 then '*' else pronargs::text end)
order by 1, 2;

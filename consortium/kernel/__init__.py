"""Ground floor: ids, actors, refusals, database, time, paging. Imports nothing of ours."""

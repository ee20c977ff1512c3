-- Optional: wakes receivers at the sender's commit. A database without LISTEN and NOTIFY does without these objects.
CREATE OR REPLACE FUNCTION dbos.notifications_function()
RETURNS TRIGGER
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $notify$
BEGIN
    PERFORM pg_notify('dbos_notifications_channel', NEW.destination_uuid || '::' || NEW.topic);
    RETURN NULL;
END
$notify$
-- ;;
-- Tried and not asked for first: CREATE OR REPLACE TRIGGER is not known to Postgres 13.
DO $trigger$
BEGIN
    CREATE TRIGGER dbos_notifications_trigger
        AFTER INSERT ON dbos.notifications
        FOR EACH ROW EXECUTE FUNCTION dbos.notifications_function();
EXCEPTION
    WHEN duplicate_object THEN NULL;
END
$trigger$

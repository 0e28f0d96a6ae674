DROP TABLE plan_notices;

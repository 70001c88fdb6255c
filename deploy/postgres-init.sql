-- One database a tier, and one for the engine of durable runs. Run once, by the image's own entry point.
CREATE DATABASE firmwire_gateway;
CREATE DATABASE firmwire_process;
CREATE DATABASE firmwire_runs;
CREATE DATABASE firmwire_experience;

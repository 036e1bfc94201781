-- +goose Up
-- How large the value of a variable may be, where the station tells it: of LocalAuthListCtrlr.Entries, how many tokens fit.
ALTER TABLE variables ADD COLUMN max_limit TEXT NOT NULL DEFAULT '';

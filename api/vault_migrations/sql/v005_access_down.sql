DROP INDEX cards_digits;
DROP TABLE access_reviews, reveals, reveal_requests, totp_resets, sign_ins, enrolments, role_changes, past_passwords, people;

DROP FUNCTION audit_lines_about;
DROP TABLE promo_redemptions, promo_codes;
DROP FUNCTION promo_redemptions_go_forward;

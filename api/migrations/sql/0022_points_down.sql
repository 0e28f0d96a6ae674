DROP TABLE points_returns, points_uses, points_spendings, points_lots, points_purses, points_rules, points_programmes;

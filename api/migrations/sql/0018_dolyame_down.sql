DROP TABLE dolyame_notifications, dolyame_refunds, dolyame_orders, dolyame_credentials, dolyame_shops;

/* Add rows to those that an order has changed, in the transaction that changes them. Needs: @token, @changed. */
UPDATE rowpost.Audit SET Rows = COALESCE(Rows, 0) + @changed WHERE Token = @token;

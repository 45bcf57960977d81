/* Whatever was claimed in a former epoch settles nothing in this one. Needs: @epoch, of the claim. */
IF NOT EXISTS (SELECT 1 FROM rowpost.Relays WHERE Relay = {relay} AND Epoch = @epoch)
        THROW 50002, N'the change versions have begun again since the rows were claimed', 1;

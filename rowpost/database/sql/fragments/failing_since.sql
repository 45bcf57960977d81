/* Since when a record g fails, apart from pauses of the relay before that. Needs: @resumed, the end of the last one. */
CASE WHEN g.FirstFailure < @resumed THEN @resumed ELSE g.FirstFailure END

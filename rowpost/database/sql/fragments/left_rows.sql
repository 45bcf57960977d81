/* The numbers of rows that are there and do not meet the condition of the relay. Needs: @keys. */
    SELECT k.number
      FROM OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k
      JOIN {table} t ON {same_key_t_k}
     WHERE NOT {matching_of_t};

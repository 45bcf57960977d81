-- A schema of publishers in the style of the oldest samples: types of sp_addtype, defaults and patterns in columns, triggers.
raiserror('Now at the types ....',0,1)
GO
execute sp_addtype id      ,'varchar(11)' ,'NOT NULL'
execute sp_addtype tid     ,'varchar(6)'  ,'NOT NULL'
execute sp_addtype empid   ,'char(9)'
GO
CREATE TABLE authors
(
   au_id          id
         CHECK (au_id like '[0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9][0-9][0-9]')
         CONSTRAINT UPKCL_auidind PRIMARY KEY CLUSTERED,
   au_lname       varchar(40)       NOT NULL,
   phone          char(12)          NOT NULL
         DEFAULT ('UNKNOWN'),
   zip            char(5)               NULL
         CHECK (zip like '[0-9][0-9][0-9][0-9][0-9]'),
   contract       bit               NOT NULL
)
GO
CREATE TABLE titles
(
   title_id       tid
         CONSTRAINT UPKCL_titleidind PRIMARY KEY CLUSTERED,
   title          varchar(80)       NOT NULL,
   type           char(12)          NOT NULL
         DEFAULT ('UNDECIDED'),
   au_id          id                NULL
         REFERENCES authors(au_id),
   price          money                 NULL,
   pubdate        datetime          NOT NULL
         DEFAULT (getdate())
)
GO
CREATE TRIGGER titles_insupd ON titles FOR INSERT AS RETURN
GO
CREATE CLUSTERED INDEX employee_ind ON authors(au_lname)
GO
CREATE NONCLUSTERED INDEX titleind ON titles (title)
GO
insert authors values('409-56-7008', 'Bennet', '415 658-9932', '94705', 1)
insert authors (au_id, au_lname, contract) values('213-46-8915', 'Green', 0)
GO
insert titles values ('PC8888', 'Secrets', 'popular_comp', '409-56-7008', $20.00, '06/12/94')
insert titles (title_id, title) values('BU1032', 'The Busy')
GO
insert authors values('no', 'Bad', '415 658-9932', '94705', 1)
GO
CREATE VIEW titleview
AS
select title, price, au_lname
from authors, titles
where authors.au_id = titles.au_id
GO
CREATE PROCEDURE byprice @p money AS select title from titles where price = @p
GO
GRANT SELECT ON authors TO guest
GO
select title, convert(varchar(10), price, 2) as price, au_lname from titleview
GO

/* A schema of a trading company in the style of the years around 2000: quoted names, sysobjects, dates of the USA, images, views. */
SET NOCOUNT ON
GO
set quoted_identifier on
GO
SET DATEFORMAT mdy
GO
if exists (select * from sysobjects where id = object_id('dbo.Sales by Year') and sysstat & 0xf = 4)
	drop procedure "dbo"."Sales by Year"
GO
if exists (select * from sysobjects where id = object_id('dbo.Order Subtotals') and sysstat & 0xf = 2)
	drop view "dbo"."Order Subtotals"
GO
if exists (select * from sysobjects where id = object_id('dbo.Clerks') and sysstat & 0xf = 3)
	drop table "dbo"."Clerks"
GO
CREATE TABLE "Clerks" (
	"ClerkID" "int" IDENTITY (1, 1) NOT NULL ,
	"LastName" nvarchar (20) NOT NULL ,
	"BirthDate" "datetime" NULL ,
	"Photo" "image" NULL ,
	"Notes" "ntext" NULL ,
	"ReportsTo" "int" NULL ,
	CONSTRAINT "PK_Clerks" PRIMARY KEY  CLUSTERED
	(
		"ClerkID"
	),
	CONSTRAINT "FK_Clerks_Clerks" FOREIGN KEY
	(
		"ReportsTo"
	) REFERENCES "dbo"."Clerks" (
		"ClerkID"
	),
	CONSTRAINT "CK_Birthdate" CHECK (BirthDate < getdate())
)
GO
 CREATE  INDEX "LastName" ON "dbo"."Clerks"("LastName")
GO
CREATE TABLE "Orders" (
	"OrderID" "int" IDENTITY (1, 1) NOT NULL ,
	"CustomerID" nchar (5) NULL ,
	"ClerkID" "int" NULL ,
	"OrderDate" "datetime" NULL ,
	"Freight" "money" NULL CONSTRAINT "DF_Orders_Freight" DEFAULT (0),
	CONSTRAINT "PK_Orders" PRIMARY KEY  CLUSTERED ("OrderID"),
	CONSTRAINT "FK_Orders_Clerks" FOREIGN KEY ("ClerkID") REFERENCES "dbo"."Clerks" ("ClerkID")
)
GO
CREATE TABLE "Order Details" (
	"OrderID" "int" NOT NULL ,
	"ProductID" "int" NOT NULL ,
	"UnitPrice" "money" NOT NULL CONSTRAINT "DF_Order_Details_UnitPrice" DEFAULT (0),
	"Quantity" "smallint" NOT NULL CONSTRAINT "DF_Order_Details_Quantity" DEFAULT (1),
	"Discount" "real" NOT NULL CONSTRAINT "DF_Order_Details_Discount" DEFAULT (0),
	CONSTRAINT "PK_Order_Details" PRIMARY KEY  CLUSTERED ("OrderID", "ProductID"),
	CONSTRAINT "FK_Order_Details_Orders" FOREIGN KEY ("OrderID") REFERENCES "dbo"."Orders" ("OrderID"),
	CONSTRAINT "CK_Discount" CHECK (Discount >= 0 and (Discount <= 1)),
	CONSTRAINT "CK_Quantity" CHECK (Quantity > 0)
)
GO
create view "Order Subtotals" AS
SELECT "Order Details".OrderID, Sum(CONVERT(money,("Order Details".UnitPrice*Quantity*(1-Discount)/100))*100) AS Subtotal
FROM "Order Details"
GROUP BY "Order Details".OrderID
GO
create view "Order Details Extended" AS
SELECT "Order Details".OrderID, "Order Details".ProductID,
	(CONVERT(money,("Order Details".UnitPrice*Quantity*(1-Discount)/100))*100) AS ExtendedPrice
FROM Orders INNER JOIN "Order Details" ON Orders.OrderID = "Order Details".OrderID
--ORDER BY "Order Details".OrderID
GO
create view "Names" AS
SELECT LastName AS Name, 'Clerk' AS Relationship FROM Clerks
UNION SELECT CustomerID, 'Customer'
FROM Orders
GO
create procedure "Sales by Year"
	@Beginning_Date DateTime, @Ending_Date DateTime AS
SELECT Orders.OrderDate, "Order Subtotals".Subtotal, DATENAME(yy,OrderDate) AS Year
FROM Orders INNER JOIN "Order Subtotals" ON Orders.OrderID = "Order Subtotals".OrderID
WHERE Orders.OrderDate Between @Beginning_Date And @Ending_Date
GO
set identity_insert "Clerks" on
go
ALTER TABLE "Clerks" NOCHECK CONSTRAINT ALL
go
INSERT "Clerks"("ClerkID","LastName","BirthDate","Photo","Notes","ReportsTo") VALUES(1,'Davo','12/08/1948',0x151C2F00,'BA, it''s',2)
INSERT "Clerks"("ClerkID","LastName","BirthDate","Photo","Notes","ReportsTo") VALUES(2,N'Müller','02/19/1952',NULL,NULL,NULL)
go
ALTER TABLE "Clerks" CHECK CONSTRAINT ALL
go
set identity_insert "Clerks" off
go
INSERT "Orders" ("CustomerID","ClerkID","OrderDate","Freight") VALUES (N'VINET',1,'7/4/1996',32.38)
INSERT "Order Details" VALUES(1,11,14,12,0.0)
INSERT "Order Details" VALUES(1,42,9.8,10,0.15)
go
SELECT Subtotal, (SELECT COUNT(*) FROM Names) AS Names FROM "Order Subtotals"
GO

namespace Moat.UnitTests;

using Moat.Bench;

switch (args)
{
    case ["switch", .. var rest]:
        return SwitchBench.Run(rest);
    case ["spaces"]:
        return SpaceBench.Run();
    default:
        Console.Error.WriteLine("usage: Moat.Bench switch [ROUNDS [THREADS]] | spaces");
        return 2;
}

using Moat.Bench;

switch (args)
{
    case ["switch", .. var rest]:
        return SwitchBench.Run(rest);
    case ["spaces"]:
        return SpaceBench.Run();
    case ["safecopy"]:
        return SafeCopyBench.Run();
    default:
        Console.Error.WriteLine("usage: Moat.Bench switch [ROUNDS [THREADS]] | spaces | safecopy");
        return 2;
}

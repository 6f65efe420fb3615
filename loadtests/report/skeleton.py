"""The words of a report that no measurement changes."""

from __future__ import annotations

from loadtests.report.document import Words

SKELETON = {
    "title": Words("Feira: relatório de testes e resultados", "Feira: report of tests and results"),
    "held": Words("Tudo o que tinha de valer valeu.", "Everything that had to hold did."),
    "broken": Words("Nem tudo valeu.", "Not everything held."),
    "contents": Words("Capítulos", "Chapters"),
    "environment": Words("Ambiente de testes", "Environment"),
    "hardware": Words("Hardware", "Hardware"),
    "cores": Words("núcleos", "cores"),
    "memory": Words("de memória", "of memory"),
    "operating_system": Words("Sistema operacional", "Operating system"),
    "system": Words("Sistema medido", "What was measured"),
    "versions": Words("Versões", "Versions"),
    "commit": Words("Commit", "Commit"),
    "command": Words("Comando", "Command"),
    "duration": Words("Duração", "Duration"),
    "load": Words("Carga média da máquina, antes e depois", "Load average, before and after"),
    "busy": Words(
        "A máquina estava ocupada com outro trabalho: leia os tempos como limites superiores.",
        "The machine was busy with other work: read times as upper bounds.",
    ),
    "measures": Words("Métricas avaliadas", "What is measured"),
    "latency": Words(
        "Latência: tempo de resposta (ms). Throughput: requisições por segundo. Taxa de sucesso:"
        " % de requisições bem-sucedidas. Tempo de recuperação: tempo de failover (s).",
        "Latency: time to an answer (ms). Throughput: requests a second. Success rate: % of"
        " requests that went well. Recovery time: time to failover (s).",
    ),
    "section": Words("seção {0} do relatório de origem", "section {0} of the source report"),
    "aim": Words("Objetivo", "Aim"),
    "again": Words("Para repetir", "To do it again"),
    "checks": Words("O que tinha de valer", "What had to hold"),
    "holds": Words("vale", "holds"),
    "fails": Words("NÃO VALE", "DOES NOT HOLD"),
    "analysis": Words("Análise", "Analysis"),
    "skipped": Words("Não foi medido", "Not measured"),
    "failed": Words("A medição falhou", "The measurement failed"),
    "seconds": Words("segundos", "seconds"),
    "comparison": Words("Comparação com o relatório anterior", "Beside the report before"),
    "first": Words(
        "Não há relatório anterior deste sistema em uma máquina igual.",
        "There is no report before it of this system on the same kind of machine.",
    ),
    "beside": Words("Anterior", "Before it"),
    "chapter": Words("Capítulo", "Chapter"),
    "figure": Words("Medida", "Figure"),
    "unit": Words("Unidade", "Unit"),
    "now": Words("Agora", "Now"),
    "then": Words("Antes", "Before"),
    "difference": Words("Diferença", "Difference"),
    "margin": Words("Margem de ruído", "Noise margin"),
    "verdict": Words("Veredito", "Verdict"),
    "got_slower": Words("Ficou mais lento", "Got slower"),
    "nothing_slower": Words(
        "Nada ficou mais lento além da margem de ruído.",
        "Nothing got slower beyond the noise margin.",
    ),
}
